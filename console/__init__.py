"""Talks to people and scripts. Whatever it opens has the tables of `actions` too."""

import actions as actions

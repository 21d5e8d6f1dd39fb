"""Changes hosts, and owns what was asked and done; its tables are part of every database."""

from actions import migrations as migrations

"""`python -m console.cli`: the same as `fleetctl`."""

from console.cli.main import main

main()

"""The commands of `python -m musiclib`, each module a few that belong together."""

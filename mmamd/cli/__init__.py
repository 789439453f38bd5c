"""The command ``mmamd``: one sub-command a file, thin over what the package offers."""

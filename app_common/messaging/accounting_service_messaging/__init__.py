"""Commands that the accounting service takes."""

COMMANDS_QUEUE = "accounting_service.commands"

"""Commands that the consumer service takes."""

COMMANDS_QUEUE = "consumer_service.commands"

"""Commands that the restaurant service takes."""

COMMANDS_QUEUE = "restaurant_service.commands"

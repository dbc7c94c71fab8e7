"""One folder an idea; each README says what it shows and the one command that runs it."""

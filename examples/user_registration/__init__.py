"""Users register, and verify their address in time or not at all: process managers that listen to three services."""

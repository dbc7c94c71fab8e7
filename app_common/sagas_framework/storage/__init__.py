"""Everything that touches SQL: the tables, the statements, the engine, what counts as bad weather of a database.

Functions take a connection and never commit: the transaction belongs to the caller. Does not belong here: deciding
what a saga does next, and anything that sends.
"""

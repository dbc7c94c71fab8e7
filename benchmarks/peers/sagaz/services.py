"""What the three services write: the rows our participants write, through the drivers sagaz itself uses; or nothing."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiosqlite
import asyncpg
from create_order import Payload

TABLES = (
    "CREATE TABLE consumers (id INTEGER PRIMARY KEY, status VARCHAR(20) NOT NULL)",
    "CREATE TABLE tickets (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, items TEXT NOT NULL, "
    "status VARCHAR(20) NOT NULL)",
    "CREATE TABLE card_authorizations (transaction_id VARCHAR(36) PRIMARY KEY, card_id INTEGER NOT NULL, "
    "amount INTEGER NOT NULL)",
    "INSERT INTO consumers " + " UNION ".join(f"SELECT {number}, 'active'" for number in range(50, 100)),
)


class Services(ABC):
    """Every method is one statement and commits by itself."""

    async def verify_consumer_details(self, consumer_id: int) -> None:
        status = await self._value("SELECT status FROM consumers WHERE id = $1", consumer_id)
        if status != "active":
            raise ValueError(f"Consumer {consumer_id} may not order")

    async def create_ticket(self, order_id: int, consumer_id: int, items: list[Payload]) -> int:
        statement = "INSERT INTO tickets (id, customer_id, items, status) VALUES ($1, $2, $3, 'created')"
        await self._write(statement, order_id, consumer_id, json.dumps(items))
        return order_id

    async def authorize_card(self, card_id: int, amount: int) -> str:
        transaction_id = str(uuid4())
        statement = "INSERT INTO card_authorizations (transaction_id, card_id, amount) VALUES ($1, $2, $3)"
        await self._write(statement, transaction_id, card_id, amount)
        return transaction_id

    async def settle_ticket(self, ticket_id: int, status: str) -> None:
        await self._write("UPDATE tickets SET status = $1 WHERE id = $2", status, ticket_id)

    @abstractmethod
    async def _value(self, statement: str, *values: object) -> object: ...

    @abstractmethod
    async def _write(self, statement: str, *values: object) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...


@dataclass(frozen=True)
class PostgresqlServices(Services):
    pool: asyncpg.Pool

    @classmethod
    async def opened(cls, url: str, connections: int) -> "PostgresqlServices":
        pool = await asyncpg.create_pool(url, min_size=connections, max_size=connections)
        for statement in TABLES:
            await pool.execute(statement)
        return cls(pool)

    async def _value(self, statement: str, *values: object) -> object:
        return await self.pool.fetchval(statement, *values)

    async def _write(self, statement: str, *values: object) -> None:
        await self.pool.execute(statement, *values)

    async def close(self) -> None:
        await self.pool.close()


@dataclass(frozen=True)
class SqliteServices(Services):
    """In a file of their own: the connection of sagaz holds its file locked nearly all the time."""

    path: Path
    connection: aiosqlite.Connection

    @classmethod
    async def opened(cls, path: Path) -> "SqliteServices":
        connection = await aiosqlite.connect(path, isolation_level=None)
        for statement in TABLES:
            await connection.execute(statement)
        return cls(path, connection)

    async def _value(self, statement: str, *values: object) -> object:
        async with self.connection.execute(statement, values) as cursor:
            row = await cursor.fetchone()
        return row and row[0]

    async def _write(self, statement: str, *values: object) -> None:
        await self.connection.execute(statement, values)

    async def close(self) -> None:
        await self.connection.close()
        self.path.unlink()


class MemoryServices(Services):
    async def _value(self, statement: str, *values: object) -> object:
        return "active"

    async def _write(self, statement: str, *values: object) -> None:
        return None

    async def close(self) -> None:
        return None

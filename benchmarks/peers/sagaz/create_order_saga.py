"""CreateOrder with sagaz: steps are coroutines of the process that runs the saga."""

import asyncio
from dataclasses import asdict
from typing import Any

from create_order import BALANCE, InsufficientBalance, Mode, Report, order_of
from reports import report
from sagaz import Saga, SagaConfig, action, compensate
from services import Services

Context = dict[str, Any]


class CreateOrderSaga(Saga):
    saga_name = "create-order"

    def __init__(self, config: SagaConfig, services: Services) -> None:
        super().__init__(config=config)
        self.services = services

    @action("verify_consumer_details")
    async def verify_consumer_details(self, order: Context) -> None:
        await self.services.verify_consumer_details(order["consumer_id"])

    @action("create_ticket", depends_on=["verify_consumer_details"])
    async def create_ticket(self, order: Context) -> Context:
        ticket_id = await self.services.create_ticket(order["order_id"], order["consumer_id"], order["items"])
        return {"ticket_id": ticket_id}

    @compensate("create_ticket")
    async def reject_ticket(self, order: Context) -> None:
        await self.services.settle_ticket(order["ticket_id"], "rejected")
        report(order["order_id"], Report.TICKET_REJECTED)

    @action("authorize_card", depends_on=["create_ticket"])
    async def authorize_card(self, order: Context) -> Context:
        if order["amount"] >= BALANCE:
            raise InsufficientBalance(f"The balance of card {order['card_id']} is too low for {order['amount']}")
        return {"transaction_id": await self.services.authorize_card(order["card_id"], order["amount"])}

    @action("approve_ticket", depends_on=["authorize_card"])
    async def approve_ticket(self, order: Context) -> None:
        await self.services.settle_ticket(order["ticket_id"], "approved")


class CreateOrders:
    """Runs so many sagas at a time in one event loop; the others wait for their turn."""

    def __init__(self, config: SagaConfig, services: Services, mode: Mode, concurrency: int) -> None:
        self._config = config
        self._services = services
        self._mode = mode
        self._turns = asyncio.Semaphore(concurrency)

    async def run(self, saga_id: int) -> None:
        async with self._turns:
            saga = CreateOrderSaga(self._config, self._services)
            try:
                await saga.run(asdict(order_of(saga_id, self._mode)), saga_id=str(saga_id))
                report(saga_id, Report.ORDER_APPROVED)
            except InsufficientBalance:
                report(saga_id, Report.ORDER_REJECTED)

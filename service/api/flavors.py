"""Hardware and prices."""

from __future__ import annotations

from fastapi.responses import JSONResponse, Response

from service.api.auth import Viewer
from service.api.contract import Routes
from service.api.pages import Page, page_json
from service.api.problems import responses
from service.api.schemas import FlavorObject
from service.api.state import App
from service.domain.moment import iso
from service.domain.money import to_usd
from service.store import flavors

router = Routes("flavors")


@router.get("/flavors", response_model=Page[FlavorObject], summary="Hardware and prices", responses=responses())
def list_flavors(_caller: Viewer, app: App) -> Response:
    """Hugging Face's hardware, cheapest first, with the price and how old it is."""
    now = app.now()
    with app.gate.db.read() as session:
        data = [
            {
                "name": flavor.name,
                "price_per_minute_usd": to_usd(flavor.price_per_minute_micro_usd),
                "price_per_hour_usd": to_usd(flavor.price_per_minute_micro_usd * 60),
                "price_read_at": iso(flavor.read_at),
                "price_is_fresh": now - flavor.read_at <= flavors.MAX_PRICE_AGE,
                "hardware": flavor.hardware,
            }
            for flavor in flavors.every(session)
        ]
    return JSONResponse(page_json(data, False, None))

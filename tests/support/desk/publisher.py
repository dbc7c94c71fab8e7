import os

from tests.support.desk.wiring import make_publisher

app = make_publisher(os.environ["DESK_BROKER"], os.environ["DESK_PUBLISHER_DATABASE_URL"]).app

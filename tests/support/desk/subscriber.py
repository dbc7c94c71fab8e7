import os

from tests.support.desk.wiring import make_subscriber

app = make_subscriber(os.environ["DESK_BROKER"], os.environ["DESK_SUBSCRIBER_DATABASE_URL"]).app

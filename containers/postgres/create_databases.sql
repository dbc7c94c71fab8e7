-- A database and a role a service: none can read or write another's, and what crosses between them is messages.
-- PostgreSQL's image runs this once, when its volume is new.

CREATE ROLE order_service LOGIN PASSWORD 'order_service';
CREATE ROLE consumer_service LOGIN PASSWORD 'consumer_service';
CREATE ROLE restaurant_service LOGIN PASSWORD 'restaurant_service';
CREATE ROLE accounting_service LOGIN PASSWORD 'accounting_service';

CREATE DATABASE order_service OWNER order_service;
CREATE DATABASE consumer_service OWNER consumer_service;
CREATE DATABASE restaurant_service OWNER restaurant_service;
CREATE DATABASE accounting_service OWNER accounting_service;

REVOKE CONNECT ON DATABASE order_service FROM PUBLIC;
REVOKE CONNECT ON DATABASE consumer_service FROM PUBLIC;
REVOKE CONNECT ON DATABASE restaurant_service FROM PUBLIC;
REVOKE CONNECT ON DATABASE accounting_service FROM PUBLIC;

"""MongoDB, by pymongo's asynchronous client: ``from gristmill.databases.mongo.writer import MongoWriter``."""

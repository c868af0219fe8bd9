"""The whole product as a test starts it: `crewship start` on a scratch data directory."""

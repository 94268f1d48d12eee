"""What the system tests share: models, repositories, a server process, clients, hostile peers."""

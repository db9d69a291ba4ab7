"""Package tunnel: hold a port forward open through drops, sleeps and recreated machines."""

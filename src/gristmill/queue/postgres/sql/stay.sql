-- Let the transaction be idle for as long as the handler takes.
SET LOCAL idle_in_transaction_session_timeout = 0

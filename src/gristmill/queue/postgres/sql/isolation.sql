-- Return the isolation level of the transaction.
SELECT current_setting('transaction_isolation')

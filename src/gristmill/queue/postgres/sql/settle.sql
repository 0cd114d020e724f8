-- Record all that became of a claim: $1 lease, $2-$13 chunks, $14-$18 results; see schema/004_leases.sql.
SELECT outcome, wakes FROM gristmill.settle(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18
)

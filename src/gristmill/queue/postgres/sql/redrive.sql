-- Let dead items run again: of the queue $1, the job $2, the code $3, dead before $4; each null is any; $5 at most.
SELECT redriven, queues FROM gristmill.redrive($1, $2, $3, $4, $5)

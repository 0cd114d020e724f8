-- Let the first in line of each of the keys $2 of the queue $1 run if nothing of the key does.
SELECT gristmill.unblock($1, $2)

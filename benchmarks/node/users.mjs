// What the Node peers share: the pool, one INSERT per user, and one multi-row INSERT per list.
import pg from 'pg'

// pg reads PGHOST, PGPORT, PGUSER and PGDATABASE; its pool holds 10 connections unless told otherwise.
const pool = process.env.PGHOST ? new pg.Pool() : null
let plainId = 0

export function withoutDatabase ({ name, email }) {
  plainId += 1
  return { id: plainId, name, email }
}

export async function insertOne ({ name, email }) {
  const { rows } = await pool.query({
    name: 'insert-one',
    text: 'INSERT INTO users (name, email) VALUES ($1, $2) RETURNING id',
    values: [name, email]
  })
  return { id: Number(rows[0].id), name, email }
}

export async function insertAll (users) {
  const places = users.map((_, i) => `($${2 * i + 1}, $${2 * i + 2})`).join(', ')
  const { rows } = await pool.query(
    `INSERT INTO users (name, email) VALUES ${places} RETURNING id`,
    users.flatMap(({ name, email }) => [name, email])
  )
  return users.map(({ name, email }, i) => ({ id: Number(rows[i].id), name, email }))
}

export async function insertAllInTransaction (users) {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const places = users.map((_, i) => `($${2 * i + 1}, $${2 * i + 2})`).join(', ')
    const { rows } = await client.query(
      `INSERT INTO users (name, email) VALUES ${places} RETURNING id`,
      users.flatMap(({ name, email }) => [name, email])
    )
    await client.query('COMMIT')
    return users.map(({ name, email }, i) => ({ id: Number(rows[i].id), name, email }))
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}

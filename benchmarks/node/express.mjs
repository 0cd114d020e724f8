// Express with its own JSON parser and a check by hand.
import express from 'express'
import { insertAllInTransaction, insertOne, withoutDatabase } from './users.mjs'

const isNewUser = (body) => typeof body?.name === 'string' && typeof body?.email === 'string'

const app = express()
app.use(express.json({ limit: '8mb' }))

app.post('/plain', (request, response) => {
  if (!isNewUser(request.body)) return response.status(400).json({ error: 'name and email are strings' })
  response.status(201).json(withoutDatabase(request.body))
})

app.post('/plain/batch', (request, response) => {
  if (!Array.isArray(request.body) || !request.body.every(isNewUser)) {
    return response.status(400).json({ error: 'a list of users is expected' })
  }
  response.status(201).json(request.body.map(withoutDatabase))
})

app.post('/users', async (request, response) => {
  if (!isNewUser(request.body)) return response.status(400).json({ error: 'name and email are strings' })
  response.status(201).json(await insertOne(request.body))
})

app.post('/users/batch', async (request, response) => {
  if (!Array.isArray(request.body) || !request.body.every(isNewUser)) {
    return response.status(400).json({ error: 'a list of users is expected' })
  }
  response.status(201).json(await insertAllInTransaction(request.body))
})

app.listen(Number(process.env.PORT), '127.0.0.1')

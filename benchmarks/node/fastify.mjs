// Fastify with schemas for what comes in and what goes out, as its documentation recommends.
import Fastify from 'fastify'
import { insertAll, insertOne, withoutDatabase } from './users.mjs'

const text = { type: 'string' }
const newUser = { type: 'object', required: ['name', 'email'], properties: { name: text, email: text } }
const user = { type: 'object', properties: { id: { type: 'integer' }, name: text, email: text } }
const one = { schema: { body: newUser, response: { 201: user } } }
const all = {
  schema: { body: { type: 'array', items: newUser }, response: { 201: { type: 'array', items: user } } }
}

const app = Fastify({ logger: false })

app.post('/plain', one, async (request, reply) => {
  reply.code(201)
  return withoutDatabase(request.body)
})

app.post('/plain/batch', all, async (request, reply) => {
  reply.code(201)
  return request.body.map(withoutDatabase)
})

app.post('/users', one, async (request, reply) => {
  reply.code(201)
  return insertOne(request.body)
})

app.post('/users/batch', all, async (request, reply) => {
  reply.code(201)
  return insertAll(request.body)
})

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })

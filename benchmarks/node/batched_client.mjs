// Calls that are buffered until a batch is full or a timer ticks, as in the document that started the project.
const [url, count] = [process.argv[2], Number(process.argv[3])];

class BatchedApiClient {
  constructor(endpoint, { batchSize = 1000, flushInterval = 10 } = {}) {
    this.endpoint = endpoint;
    this.batchSize = batchSize;
    this.waiting = [];
    this.timer = setInterval(() => this.flush(), flushInterval);
  }

  add(item) {
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, resolve, reject });
      if (this.waiting.length >= this.batchSize) this.flush();
    });
  }

  async flush() {
    const batch = this.waiting;
    if (batch.length === 0) return;
    this.waiting = [];
    try {
      const answer = await fetch(this.endpoint, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(batch.map(({ item }) => item)),
      });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const { items } = await answer.json();
      batch.forEach(({ resolve }, index) => resolve(items[index].result));
    } catch (error) {
      batch.forEach(({ reject }) => reject(error));
    }
  }

  close() {
    clearInterval(this.timer);
  }
}

const user = (number) => ({ name: `Person ${number}`, email: `p${number}@example.org` });
const client = new BatchedApiClient(url);
await client.add(user(0));
const users = Array.from({ length: count }, (_, number) => user(number));
globalThis.gc(); // what starting left is nobody's work
const [began, cpu] = [process.hrtime.bigint(), process.cpuUsage()];
const found = await Promise.all(users.map((each) => client.add(each)));
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
const used = process.cpuUsage(cpu);
client.close();
if (!found.every((each, number) => each.email === user(number).email)) throw new Error("answers are mixed up");
console.log(JSON.stringify({ rate: count / seconds, cpu_us: (used.user + used.system) / count }));
process.exit(0);

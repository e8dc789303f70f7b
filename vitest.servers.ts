import { once } from "node:events"
import * as fs from "node:fs"
import { createServer } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { text } from "node:stream/consumers"
import { startPostgres } from "./packages/core/test/postgresProcess.ts"
import { socketVariable } from "./test/serversOfRun.ts"

interface Started {
  readonly at: unknown
  readonly stop: () => Promise<unknown>
}

const starts: Readonly<Record<string, () => Promise<Started>>> = { postgres: startPostgres }

const start = async (name: string): Promise<Started> => {
  const server = await starts[name]?.()
  if (server === undefined) throw new Error(`There is no server "${name}"`)
  return server
}

/** Starts servers that files of tests share, each when the first of these asks for it. */
export const setup = async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-servers-"))
  const started = new Map<string, Promise<Started>>()
  const answer = async (name: string) => {
    try {
      const server = started.get(name) ?? start(name)
      started.set(name, server)
      return { at: (await server).at }
    } catch (error) {
      return { why: String(error) }
    }
  }
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    // Whoever asks may be killed before there is an answer.
    const asked = text(socket.on("error", () => {}))
    void asked.then(answer).then((answer) => socket.end(JSON.stringify(answer)), () => {})
  })
  process.env[socketVariable] = path.join(folder, "socket")
  await once(server.listen(process.env[socketVariable]), "listening")
  return async () => {
    server.close()
    await Promise.allSettled(Array.from(started.values(), async (server) => (await server).stop()))
    fs.rmSync(folder, { recursive: true })
  }
}

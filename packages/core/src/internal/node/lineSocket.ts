/**
 * A socket that carries messages as lines of JSON.
 */
import * as Effect from "effect/Effect"
import type { Scope } from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import { mostCharacters } from "../cluster/messages.ts"
import { brief, Disconnected, type Wire } from "../cluster/wire.ts"

const newline = 10

/** Most bytes of a line. A character takes 3 bytes at most. */
const mostBytes = 3 * mostCharacters

/** What the error of a connection comes from. */
const rootOf = (error: unknown): unknown => {
  if (typeof error !== "object" || error === null) return error
  if ("code" in error && String(error.code).startsWith("ERR_SSL")) {
    return "one side refuses the secret or the certificate of the other"
  }
  if (error instanceof AggregateError) return rootOf(error.errors[0])
  if ("reason" in error) return rootOf(error.reason)
  if ("cause" in error && error.cause instanceof Error) return rootOf(error.cause)
  return "_tag" in error && error._tag === "SocketCloseError" ? "the connection was closed" : error
}

const disconnected = (error: unknown): Disconnected => new Disconnected({ why: brief(rootOf(error)) })

/** Gathers the lines of what arrives in parts. */
class Lines {
  private readonly whole: Array<string> = []
  private parts: Array<Uint8Array> = []
  private size = 0
  /** Bytes of all parts so far. */
  bytes = 0

  next(): string | undefined {
    return this.whole.shift()
  }

  /** Whether the line that arrives is not too long. */
  add(part: Uint8Array): boolean {
    const end = part.lastIndexOf(newline)
    this.parts.push(part)
    this.size += part.length
    this.bytes += part.length
    if (end >= 0) {
      const bytes = Buffer.concat(this.parts)
      const rest = part.subarray(end + 1)
      this.whole.push(...bytes.toString("utf8", 0, bytes.length - rest.length - 1).split("\n"))
      this.parts = [rest]
      this.size = rest.length
    }
    return this.size <= mostBytes
  }
}

/** Opens a socket until the scope closes. It reads only as fast as its messages are received. */
export const wireOf = Effect.fnUntraced(function*(socket: Socket.Socket): Effect.fn.Return<Wire, Disconnected, Scope> {
  const pull = Effect.mapError(yield* Effect.mapError(Socket.readerBytes(socket), disconnected), disconnected)
  const { write } = yield* socket.writer
  const lines = new Lines()
  const tooLong = new Disconnected({ why: `it sent a message of more than ${mostBytes} bytes` })
  const receive: Effect.Effect<string, Disconnected> = Effect.suspend(() => {
    const line = lines.next()
    if (line !== undefined) return Effect.succeed(line)
    return Effect.flatMap(pull, (parts) => parts.every((part) => lines.add(part)) ? receive : Effect.fail(tooLong))
  })
  return {
    receive,
    send: (message) => Effect.mapError(write(`${message}\n`), disconnected),
    arrivedUnsafe: () => lines.bytes
  }
})

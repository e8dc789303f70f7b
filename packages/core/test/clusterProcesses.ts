/**
 * Workers of a cluster as processes, and what happens to them.
 */
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as net from "node:net"
import * as path from "node:path"
import { startStopwatch } from "../../../test/stopwatch.ts"
import type { Note, Registry, WorkerChild } from "./clusterTasks.ts"

/** A port that nobody listens at. */
export const freePort = Effect.promise(async () => {
  const server = net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" && address !== null ? address.port : 0
})

export class Process {
  readonly child: ChildProcess
  /** What it has printed. */
  output = ""
  readonly closed: Promise<unknown>

  constructor(
    file: string,
    args: ReadonlyArray<unknown>,
    env: NodeJS.ProcessEnv = {},
    before: ReadonlyArray<string> = []
  ) {
    const [program = process.execPath, ...rest] = [
      ...before,
      process.execPath,
      "--conditions=@fanout/source",
      path.resolve(import.meta.dirname, file),
      ...args.map((arg) => typeof arg === "string" ? arg : JSON.stringify(arg))
    ]
    this.child = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } })
    this.closed = once(this.child, "close")
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text
      })
    }
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  kill(signal: NodeJS.Signals): Effect.Effect<void> {
    return Effect.sync(() => void this.child.kill(signal))
  }

  /** Ends it, and waits until it has ended. */
  readonly end = Effect.promise(async () => {
    if (this.isAlive) {
      this.child.kill("SIGKILL")
      this.child.kill("SIGCONT")
    }
    await this.closed
  })

  /** Waits until it has printed something. */
  prints(text: string): Effect.Effect<void> {
    return until(`${text} of ${this.child.spawnargs.join(" ")}: ${this.output}`, () => {
      if (!this.isAlive) throw new Error(`it has ended: ${this.output}`)
      return this.output.includes(text)
    })
  }
}

/** Waits until something holds. */
export const until = (what: string, holds: () => boolean, millis = 30_000): Effect.Effect<void> =>
  Effect.gen(function*() {
    const elapsed = startStopwatch()
    while (!holds()) {
      if (elapsed() > millis) return yield* Effect.die(new Error(`waited ${millis} ms for ${what}`))
      yield* Effect.sleep(5)
    }
  })

export class Worker extends Process {
  readonly host: string
  readonly port: number

  constructor(options: WorkerChild, before: ReadonlyArray<string> = []) {
    super("clusterWorkerChild.ts", [options], {}, before)
    this.host = options.host ?? "127.0.0.1"
    this.port = options.port
  }

  get address(): string {
    return `${this.host}:${this.port}`
  }
}

/** Starts a worker, which ends with the test. */
export const startWorker = (
  registry: Registry,
  options: Partial<WorkerChild> = {},
  before: ReadonlyArray<string> = []
) =>
  Effect.acquireRelease(
    Effect.map(freePort, (port) => new Worker({ registry, port, ...options }, before)),
    (worker) => worker.end
  ).pipe(Effect.tap((worker) => worker.prints("ready")))

export const startWorkers = (registry: Registry, count: number, options: Partial<WorkerChild> = {}) =>
  Effect.all(Array.from({ length: count }, () => startWorker(registry, options)), { concurrency: "unbounded" })

export const startOwner = (registry: Registry, walks: object) =>
  Effect.acquireRelease(
    Effect.sync(() => new Process("clusterOwnerChild.ts", [registry, walks])),
    (owner) => owner.end
  )

/** Forwards a port of another address to this one's, until it is cut: then nothing passes, and nobody is told. */
class Proxy {
  isCut = false
  private readonly server: net.Server
  private readonly sockets = new Set<net.Socket>()

  constructor(host: string, port: number) {
    this.server = net.createServer((from) => {
      const to = net.connect(port, "127.0.0.1")
      for (const [one, other] of [[from, to], [to, from]] as const) {
        this.sockets.add(one)
        one.on("error", () => {})
        one.on("close", () => {
          this.sockets.delete(one)
          if (!this.isCut) other.destroy()
        })
        one.on("data", (data) => {
          if (!this.isCut) other.write(data)
        })
      }
    }).listen(port, host)
  }

  close(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }
}

export const startProxy = (host: string, port: number) =>
  Effect.acquireRelease(Effect.sync(() => new Proxy(host, port)), (proxy) => Effect.sync(() => proxy.close()))

/** Elements of which an attempt has begun before another one has taken its last step. */
export const overlaps = (notes: ReadonlyArray<Note>): ReadonlyArray<string> =>
  Array.from(Map.groupBy(notes, ({ n }) => n)).flatMap(([n, all]) => {
    const attempts = Array.from(Map.groupBy(all, ({ attempt, pid }) => `${pid} ${attempt}`).values())
    const begins = attempts.map((notes) => Math.min(...notes.map(({ at }) => at)))
    return attempts.flatMap((notes, index) => {
      const last = Math.max(...notes.filter(({ what }) => what === "steps" || what === "ends").map(({ at }) => at))
      const overlap = begins.find((begin, other) => other !== index && begin > (begins[index] ?? 0) && begin < last)
      return overlap === undefined ? [] : [`${n}: an attempt until ${last}, the next from ${overlap}`]
    })
  })

/**
 * Tasks and a job for clusters of real processes, and who runs them: a process that says what it is by its argument.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import { type ClusterSecurity, layerCluster, layerWorker } from "@fanout/core/cluster"
import * as FanOut from "@fanout/core/FanOut"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as Lease from "@fanout/core/Lease"
import { layerOwnerLiveness, layerSqlClient } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import type * as Images from "../../../examples/images/tasks.ts"
import { handlers as handlersOfActs, Tasks as Acts } from "./threadTasks.ts"

export const secret = "the secret of tests, of nothing else: 4f1c"

export const security: ClusterSecurity = { secret: Redacted.make(secret) }

/** A certificate and its key from a folder that has also the one of the authority. */
export const byCertificate = (folder: string, name: string): ClusterSecurity => {
  const read = (file: string) => fs.readFileSync(path.join(folder, file), "utf8")
  return { ca: read("authority.crt"), certificate: read(`${name}.crt`), key: Redacted.make(read(`${name}.key`)) }
}

/** Takes steps, each of which it notes in a file while it holds the lease. Without steps, it notes its number alone. */
export const Walk = Task.make("test/Walk", {
  payload: { n: Schema.Number, steps: Schema.Number, millis: Schema.Number, notes: Schema.String },
  success: Schema.Number,
  key: ({ n }) => String(n),
  pool: "cpu"
})

/** The same task as of an older version. */
const Old = Task.make("test/Walk", { payload: { n: Schema.Number }, pool: "cpu" })

class Olds extends RpcGroup.make(Old) {}

/** Keeps the event loop of its process busy for so long, the first time. */
export const Wedge = Task.make("test/Wedge", {
  payload: { millis: Schema.Number, notes: Schema.String },
  success: Schema.Number,
  pool: "cpu"
})

/** Saves a text of so many characters as its checkpoint, and commits it. */
export const Keep = Task.make("test/Keep", { payload: { size: Schema.Number }, success: Schema.Number, pool: "cpu" })

/** Gives back a text of so many characters. */
export const Echo = Task.make("test/Echo", {
  payload: { text: Schema.String, size: Schema.Number },
  success: Schema.String,
  pool: "cpu"
})

export class Walks extends RpcGroup.make(Walk, Wedge, Keep, Echo) {}

const Text = TaskCheckpoint.make(Schema.String)

/** A line of the notes: what has been done, when, and in which process. */
const Note = Schema.Struct({
  n: Schema.Number,
  what: Schema.String,
  at: Schema.Number,
  pid: Schema.Number,
  attempt: Schema.Number
})
export type Note = typeof Note.Type

const decodeNote = Schema.decodeUnknownSync(Note)

let attempts = 0

const note = (notes: string, n: number, what: string, attempt: number) =>
  fs.appendFileSync(notes, `${JSON.stringify({ n, what, at: Date.now(), pid: process.pid, attempt })}\n`)

export const notesOf = (notes: string): ReadonlyArray<Note> =>
  fs.existsSync(notes)
    ? fs.readFileSync(notes, "utf8").split("\n").filter((line) => line !== "").map((line) =>
      decodeNote(JSON.parse(line))
    )
    : []

let runs: number | undefined

/** Notes that an element is run: its number in four bytes. */
const noteRun = (notes: string, n: number): number => {
  runs ??= fs.openSync(notes, "a")
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(n)
  fs.writeSync(runs, bytes)
  return n
}

/** How many runs there are. */
export const runsIn = (notes: string): number => fs.existsSync(notes) ? fs.statSync(notes).size / 4 : 0

/** Numbers of the elements that were run, in their order. */
export const runsOf = (notes: string): Uint32Array => {
  const bytes = fs.readFileSync(notes)
  return Uint32Array.from({ length: bytes.length / 4 }, (_, n) => bytes.readUInt32LE(4 * n))
}

const walk = Effect.fnUntraced(function*({ millis, n, notes, steps }: (typeof Walk)["payloadSchema"]["Type"]) {
  const attempt = ++attempts
  const stops = Effect.map(
    Interrupter.reason,
    (reason) => note(notes, n, `stops: ${Option.getOrElse(reason, () => "no lease")}`, attempt)
  )
  note(notes, n, "begins", attempt)
  for (let step = 0; step < steps; step++) {
    yield* Effect.onInterrupt(Effect.sleep(millis), () => stops)
    const exit = yield* Effect.exit(Effect.andThen(Interrupter.check, Lease.check))
    if (Exit.isFailure(exit)) {
      yield* stops
      return yield* Effect.failCause(exit.cause)
    }
    yield* Progress.add("steps", 1)
    note(notes, n, "steps", attempt)
  }
  note(notes, n, "ends", attempt)
  return n
})

const handlers = Walks.toLayer({
  "test/Walk": (walks) => walks.steps === 0 ? Effect.sync(() => noteRun(walks.notes, walks.n)) : walk(walks),
  "test/Wedge": ({ millis, notes }) =>
    Effect.sync(() => {
      const isFirst = notesOf(notes).every(({ what }) => what !== "wedges")
      if (!isFirst) return process.pid
      note(notes, -1, "wedges", ++attempts)
      const end = performance.now() + millis
      while (performance.now() < end);
      return process.pid
    }),
  "test/Keep": ({ size }) => Effect.as(Text.commit("x".repeat(size)), size),
  "test/Echo": ({ size, text }) => Effect.succeed(text.repeat(size))
})

/** A table of what owners have recorded: elements, and how many runs there had been before. */
export const createWalked = SqlClient.use((sql) =>
  sql`create table walked (ran bigint not null, elements bytea not null)`
)

/** Walks of so many elements. What is recorded of them is also in a table. */
export const Walking = Job.make("test/Walking", {
  payload: Schema.Struct({
    count: Schema.Number,
    steps: Schema.Number,
    millis: Schema.Number,
    notes: Schema.String,
    concurrency: Schema.optionalKey(Schema.Number)
  }),
  success: Schema.Struct({ done: Schema.Number, failed: Schema.Number, steps: Schema.Number }),
  error: FanOut.FanOutStopped,
  idempotencyKey: ({ notes }) => notes
})

const program = Walking.toLayer(Effect.fnUntraced(function*({ concurrency = 64, count, ...walk }) {
  const { fanOut } = yield* TaskDispatcher
  const sql = yield* Effect.serviceOption(SqlClient)
  const tally = yield* fanOut("walks", Walk, (after) => {
    const first = Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 })
    return Stream.map(Stream.range(first, count - 1), (n) => ({
      _tag: "Item",
      cursor: String(n),
      payload: { n, ...walk }
    }))
  }, {
    concurrency,
    ...Option.isNone(sql) ? {} : {
      onCommit: (ended) =>
        Effect.orDie(Effect.asVoid(
          sql.value`insert into walked ${
            sql.value.insert({
              ran: runsIn(walk.notes),
              elements: Buffer.from(Uint32Array.from(ended, ({ cursor }) => Number(cursor)).buffer)
            })
          }`
        ))
    }
  })
  return { done: tally.done, failed: tally.failed, steps: tally.units["steps"] ?? 0 }
}))

/** Where the registry of workers is. */
export type Registry = PgClient.PgPoolConfig | { readonly filename: string }

export const clientOf = (registry: Registry): Layer.Layer<SqlClient> => {
  const client: Layer.Layer<SqlClient, unknown> = "filename" in registry
    ? layerSqlClient(registry)
    : PgClient.layer(registry)
  return Layer.orDie(Layer.fresh(client))
}

/** The tasks on the workers of a registry. */
export const layerTasks = (registry: Registry, by: ClusterSecurity = security) =>
  layerCluster(Walks, { security: by }).pipe(Layer.provide([clientOf(registry), layerOwnerLiveness]))

/** An owner of jobs whose tasks run on workers. */
export const layerOwner = (registry: Registry) =>
  JobManager.layer({ jobs: [Walking], leaseTtl: "5 seconds", pollInterval: "50 millis" }).pipe(
    Layer.provide(program),
    Layer.provide(layerTasks(registry)),
    Layer.provideMerge(SqlJobStore.layer),
    Layer.provide([Pools.layer(), layerOwnerLiveness]),
    Layer.provideMerge(clientOf(registry))
  )

/** A module of tasks and their handlers, as a program for threads has one. */
export type TasksModule = Pick<typeof Images, "Tasks" | "Handlers">

/** What a worker is told by its argument. */
export interface WorkerChild {
  readonly registry: Registry
  readonly port: number
  readonly host?: string
  readonly listen?: string
  readonly cpu?: number
  /** The tasks that it has, all of this module by default. */
  readonly tasks?: "an older version" | "acts" | { readonly module: string }
  /** The folder of its certificate, if it has one. */
  readonly certificates?: string
}

export const layerChild = (
  { certificates, cpu = 8, host = "127.0.0.1", listen = "127.0.0.1", port, registry, tasks }: WorkerChild
) => {
  const by = certificates === undefined ? security : byCertificate(certificates, "worker")
  const options = { security: by, host, listen, port }
  const worker = typeof tasks === "object"
    ? Layer.unwrap(Effect.promise(async () => {
      const { Handlers, Tasks }: TasksModule = await import(tasks.module)
      return Layer.provide(layerWorker(Tasks, options), Handlers)
    }))
    : tasks === "acts"
    ? Layer.provide(layerWorker(Acts, options), handlersOfActs(true))
    : tasks === undefined
    ? Layer.provide(layerWorker(Walks, options), handlers)
    : Layer.provide(layerWorker(Olds, options), Olds.toLayer({ "test/Walk": () => Effect.void }))
  return Layer.provide(worker, [Pools.layer({ cpu }), layerOwnerLiveness, clientOf(registry)])
}

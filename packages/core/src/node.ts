/**
 * Connects core to Node: the job store in a SQLite file, who owns a job, and how short of memory the machine is.
 *
 * `@fanout/core/threads` is the other entry of core that knows a platform.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import * as DatabaseFile from "./internal/node/databaseFile.ts"
import * as MemoryPressure from "./internal/node/memoryPressure.ts"
import { mountIn } from "./internal/node/mounts.ts"
import * as Owners from "./internal/node/processOwner.ts"
import { readText } from "./internal/node/readText.ts"
import * as SqliteClient from "./internal/node/sqliteClient.ts"
import { whileBusy } from "./internal/sql/access.ts"
import { storageFailure } from "./internal/sql/queries.ts"
import { sqliteProblem } from "./internal/sql/sqliteDialect.ts"
import type { JobStore } from "./JobStore.ts"
import { JobStoreError } from "./JobStoreError.ts"
import { OwnerLiveness } from "./OwnerLiveness.ts"
import { Pressure } from "./Pressure.ts"
import * as SqlJobStore from "./SqlJobStore.ts"

/**
 * Which SQLite file, and how far SQLite goes to have a commit on disk.
 *
 * @category models
 * @since 0.1.0
 */
export interface SqliteOptions {
  /** Path of the file, or `":memory:"` for a database of this process alone. */
  readonly filename: string
  /**
   * With `"NORMAL"`, the default, a crash of the process loses nothing, and a power cut the last commits; with `"FULL"`
   * a power cut loses nothing either, and each commit waits for the disk.
   */
  readonly synchronous?: "NORMAL" | "FULL" | undefined
}

/**
 * Layer that keeps jobs in a SQLite file.
 *
 * **Details**
 *
 * The file and its folder are made if they are missing, for nobody else to read.
 *
 * **Gotchas**
 *
 * A network file system is refused with `UnsafeFileSystem`, as far as Linux tells it from a disk; elsewhere it is not
 * recognized.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSqlite = (options: SqliteOptions): Layer.Layer<JobStore, JobStoreError> =>
  Layer.provide(SqlJobStore.layer, layerClient(options, SqliteClient.make))

const layerClient = (
  { filename, synchronous = "NORMAL" }: SqliteOptions,
  make: typeof SqliteClient.make
): Layer.Layer<SqlClient.SqlClient, JobStoreError> =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.gen(function*() {
      const file = yield* Effect.try({
        try: () => filename === ":memory:" ? filename : DatabaseFile.prepare(filename),
        catch: (cause) => new JobStoreError({ reason: DatabaseFile.reasonOf(cause) })
      })
      // Longer waits would hold up all else in this thread. What meets a lock is tried again without blocking it.
      return yield* make({ filename: file, busyTimeoutMillis: 10, synchronous }).pipe(
        Effect.retry({ schedule: whileBusy, while: (error) => sqliteProblem(error) === "Busy" }),
        Effect.mapError((error) => storageFailure("open", sqliteProblem(error), error.reason.cause))
      )
    })
  ).pipe(Layer.provide(Reactivity.layer))

/**
 * Layer of a client for tables of your own in the file that the jobs are in. What it writes in `onCommit` of a fan-out
 * is part of the same transaction, and a job that is started in a transaction of it is part of that.
 *
 * **Details**
 *
 * Where somebody else writes, a statement or a transaction waits for up to half a minute, and other work of the thread
 * goes on meanwhile. Then it fails with a `LockTimeoutError`. A transaction is for writing from its beginning
 * (`BEGIN IMMEDIATE`); provide `SqlClient.BeginTransaction` with `"BEGIN"` for one that only reads.
 *
 * **Gotchas**
 *
 * It opens a connection of its own, as the store does with the file. An application may have any other client of
 * SQLite in its place.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSqlClient = (options: SqliteOptions): Layer.Layer<SqlClient.SqlClient, JobStoreError> =>
  layerClient(options, SqliteClient.makeWaiting)

/**
 * Layer that looks at the processes of this machine.
 *
 * **Details**
 *
 * An owner is dead when its machine has been started anew, no process has its id, the process with its id was started
 * at another time, or it has ended and only its parent has not noticed. Owners on other machines, in other containers
 * or in other process namespaces are never called dead. Without `/proc` only a missing process id tells.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerOwnerLiveness: Layer.Layer<OwnerLiveness> = Layer.sync(OwnerLiveness, () => {
  const self = Owners.self()
  return OwnerLiveness.of({
    self,
    isDead: (owner) => Effect.sync(() => Owners.isDead(self, owner, Owners.look))
  })
})

/**
 * A file system that is mounted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Mount {
  /** Numbers of the device: `8:1`. */
  readonly device: string
  /** Path of the folder that it is mounted on. */
  readonly point: string
  /** Type of the file system, such as `ext4` or `fuse.sshfs`. */
  readonly type: string
  /** What is mounted: a device, or a server and its folder. */
  readonly source: string
}

/**
 * Finds the mount that an absolute path is in, without following links; `None` where the system is not Linux. It reads
 * the table of mounts and asks nothing of the file system, which may never answer.
 *
 * @category accessors
 * @since 0.1.0
 */
export const mountOf = (path: string): Effect.Effect<Option.Option<Mount>> =>
  Effect.sync(() => Option.fromUndefinedOr(mountIn(readText("/proc/self/mountinfo") ?? "", path)))

/**
 * Layer that reads from Linux how short of memory this process is.
 *
 * **Details**
 *
 * It is the share of the last second for which a task of its control group, or of the machine, stalled for want of
 * memory; or more, where little is left of what the group may use. Where the kernel tells nothing of the kind it is 0.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPressure: Layer.Layer<never> = Layer.sync(Pressure, () => {
  const measure = MemoryPressure.meter(readText, () => performance.now())
  return Effect.sync(measure)
})

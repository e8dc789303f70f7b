/**
 * Connects core to Node: the job store in a SQLite file, the owner of a job, and memory pressure.
 * `@fanout/core/threads` is the other entry of core that depends on a platform.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import * as DatabaseFile from "./internal/node/databaseFile.ts"
import { mountIn, readText } from "./internal/node/linux.ts"
import * as MemoryPressure from "./internal/node/memoryPressure.ts"
import * as Owners from "./internal/node/processOwner.ts"
import * as SqliteClient from "./internal/node/sqliteClient.ts"
import { whileBusy } from "./internal/sql/access.ts"
import { storageFailure } from "./internal/sql/queries.ts"
import { sqliteProblem } from "./internal/sql/sqliteDialect.ts"
import type * as Job from "./Job.ts"
import * as JobManager from "./JobManager.ts"
import type { JobStore } from "./JobStore.ts"
import { JobStoreError } from "./JobStoreError.ts"
import { OwnerLiveness } from "./OwnerLiveness.ts"
import * as Pools from "./Pools.ts"
import { Pressure } from "./Pressure.ts"
import * as SqlJobStore from "./SqlJobStore.ts"

/**
 * The SQLite file, and how safely SQLite commits.
 *
 * @category models
 */
export interface SqliteOptions {
  /** Path of the file, or `":memory:"` for a database of this process alone. */
  readonly filename: string
  /**
   * With `"NORMAL"`, the default, a crash of the process loses no commit, and a power cut loses the last commits. With
   * `"FULL"`, a power cut loses no commit either, and each commit waits for the disk.
   */
  readonly synchronous?: "NORMAL" | "FULL" | undefined
}

/**
 * Layer that keeps jobs in a SQLite file. A missing file and a missing folder are created, readable for the user alone.
 *
 * **Gotchas**
 *
 * A file on a network file system is refused with `UnsafeFileSystem`, if Linux can tell it from a disk. On other
 * systems the layer does not recognize a network file system.
 *
 * @category layers
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
      // A longer wait would block this thread. Operations that meet a lock are tried again without blocking.
      return yield* make({ filename: file, busyTimeoutMillis: 10, synchronous }).pipe(
        Effect.retry({ schedule: whileBusy, while: (error) => sqliteProblem(error) === "Busy" }),
        Effect.mapError((error) => {
          const problem = sqliteProblem(error)
          const obstacle = problem === "Unreadable" || problem === "ReadOnly"
            ? DatabaseFile.obstacleTo(file)
            : Option.none()
          return Option.match(obstacle, {
            onNone: () => storageFailure("open", problem, error.reason.cause),
            onSome: (reason) => new JobStoreError({ reason })
          })
        })
      )
    })
  ).pipe(Layer.provide(Reactivity.layer))

/**
 * Layer of a `SqlClient` for an application's own tables in the file of the jobs. Its writes in `onCommit` of a fan-out
 * are part of the fan-out's transaction. A job that is accepted in a transaction of the client is part of that
 * transaction.
 *
 * **Details**
 *
 * A statement or transaction that meets another writer waits for up to half a minute, while other work of the thread
 * goes on. Then the statement fails with a `LockTimeoutError`. A transaction locks for writing from its beginning
 * (`BEGIN IMMEDIATE`); provide `SqlClient.BeginTransaction` with `"BEGIN"` for a transaction that only reads. The
 * client has a connection of its own, as the store has. An application may use another SQLite client instead.
 *
 * @category layers
 */
export const layerSqlClient = (options: SqliteOptions): Layer.Layer<SqlClient.SqlClient, JobStoreError> =>
  layerClient(options, SqliteClient.makeWaiting)

/**
 * Layer that looks at the processes of this machine. An owner is dead if no process has its id, if the process with its
 * id started at another time, or if it has ended and its parent has not noticed yet. Owners on other machines, in other
 * containers or in other process namespaces are never reported as dead, nor are owners of another boot: a clone of this
 * machine may run. Without `/proc`, only a missing process id tells.
 *
 * @category layers
 */
export const layerOwnerLiveness: Layer.Layer<OwnerLiveness> = Layer.sync(OwnerLiveness, () => {
  const self = Owners.self()
  return OwnerLiveness.of({
    self,
    isDead: (owner) => Effect.sync(() => Owners.isDead(self, owner, Owners.look))
  })
})

/**
 * A mounted file system.
 *
 * @category models
 */
export interface Mount {
  /** Numbers of the device, such as `8:1`. */
  readonly device: string
  /** Path of the folder where the file system is mounted. */
  readonly point: string
  /** Type of the file system, such as `ext4` or `fuse.sshfs`. */
  readonly type: string
  /** The mounted device, or a server and its folder. */
  readonly source: string
}

/**
 * Finds the mount of an absolute path, without following links. Returns `None` if the system is not Linux. The search
 * reads the table of mounts. It does not touch the file system, which may never answer.
 *
 * @category accessors
 */
export const mountOf = (path: string): Effect.Effect<Option.Option<Mount>> =>
  Effect.sync(() => Option.fromUndefinedOr(mountIn(readText("/proc/self/mountinfo") ?? "", path)))

/**
 * Layer that reads the memory pressure of this process from Linux. The pressure is the share of the last second in
 * which a task of the control group, or of the machine, waited for memory. It is higher when little of the group's
 * memory limit is left. It is 0 if the kernel does not report it.
 *
 * @category layers
 */
export const layerPressure: Layer.Layer<never> = Layer.sync(Pressure, () => {
  const measure = MemoryPressure.meter(readText, () => process.uptime() * 1000)
  return Effect.sync(measure)
})

/**
 * How jobs run in this process, with a SQLite file. `pools` resizes the pools or adds others, see `Pools.layer`.
 *
 * @category models
 */
export interface Options<Jobs extends ReadonlyArray<Job.Any>> extends JobManager.Options<Jobs>, SqliteOptions {
  readonly pools?: Parameters<typeof Pools.layer>[0]
}

/**
 * Layer that runs jobs in this process and keeps them in a SQLite file. It is the whole runtime: the manager, the file,
 * the pools, and the layers that look at other processes and at the memory of this machine.
 *
 * **Details**
 *
 * It requires the program of every job that it is given. Several processes may use one file.
 *
 * @category layers
 */
export const layer = <const Jobs extends ReadonlyArray<Job.Any>>(
  { filename, pools, synchronous, ...options }: Options<Jobs>
): Layer.Layer<JobManager.JobManager, JobStoreError, Job.ToProgram<Jobs[number]>> =>
  JobManager.layer(options).pipe(
    Layer.provide([layerSqlite({ filename, synchronous }), layerOwnerLiveness, Pools.layer(pools), layerPressure])
  )

/**
 * Layer that starts jobs of a SQLite file, looks at them, and pauses, resumes, cancels and retries them, but runs none.
 * It needs no programs. A process with `layer` on the same file runs the jobs.
 *
 * @category layers
 */
export const layerClientOnly = (options: SqliteOptions): Layer.Layer<JobManager.JobManager, JobStoreError> =>
  Layer.provide(JobManager.layerClientOnly, layerSqlite(options))

/**
 * Connects core to Node: the job store in a SQLite file, and who owns a job.
 *
 * This is the only entry of core that knows a platform.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import * as SqliteClient from "./internal/node/sqliteClient.ts"
import type { JobStore } from "./JobStore.ts"
import type { JobStoreError } from "./JobStoreError.ts"
import * as SqlJobStore from "./SqlJobStore.ts"

/**
 * Layer that keeps jobs in a SQLite file.
 *
 * **Details**
 *
 * `synchronous` is how far SQLite goes to have a commit on disk. With `NORMAL` a crash of the process loses
 * nothing, and a power cut the last commits; with `FULL` nothing either, and each commit waits for the disk.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSqlite = ({ filename, synchronous = "NORMAL" }: {
  readonly filename: string
  readonly synchronous?: "NORMAL" | "FULL" | undefined
}): Layer.Layer<JobStore, JobStoreError> =>
  SqlJobStore.layer.pipe(
    Layer.provide(Layer.effect(
      SqlClient.SqlClient,
      SqliteClient.make({
        filename,
        busyTimeoutMillis: 10,
        setup: ["PRAGMA journal_mode = WAL", `PRAGMA synchronous = ${synchronous}`, "PRAGMA foreign_keys = ON"]
      }).pipe(Effect.orDie)
    )),
    Layer.provide(Reactivity.layer)
  )

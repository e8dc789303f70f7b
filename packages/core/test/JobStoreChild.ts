// Inserts jobs while another process inserts its own with the same keys, and prints the ids of what is stored.
import * as PgClient from "@effect/sql-pg/PgClient"
import * as JobStore from "@fanout/core/JobStore"
import * as Node from "@fanout/core/node"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import { job } from "./JobStoreRecords.ts"

// Where the store is: the name of a SQLite file, or settings of a Postgres client.
const [place = "", name = "", start = "", count = "0"] = process.argv.slice(2)

const program = Effect.gen(function*() {
  const store = yield* JobStore.JobStore
  process.stdout.write("ready\n")
  while (!fs.existsSync(start)) yield* Effect.sleep("1 millis")
  const stored = yield* Effect.forEach(
    Array.from({ length: Number(count) }, (_, index) => index),
    (index) => store.insert(job(`${name}-${index}`, { exclusiveKey: Option.some(`key-${index}`) }))
  )
  process.stdout.write(JSON.stringify(stored.map((record) => record.id)))
})

const layer = place.startsWith("{")
  ? Layer.provide(SqlJobStore.layer, PgClient.layer(JSON.parse(place)))
  : Node.layerSqlite({ filename: place })

await Effect.runPromise(Effect.provide(program, layer))

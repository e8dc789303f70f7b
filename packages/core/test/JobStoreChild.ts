// Inserts jobs while another process inserts its own with the same keys, and prints the ids of what is stored.
import * as JobStore from "@fanout/core/JobStore"
import * as Node from "@fanout/core/node"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import { job } from "./JobStoreRecords.ts"

const [filename = "", name = "", start = "", count = "0"] = process.argv.slice(2)

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

await Effect.runPromise(program.pipe(Effect.provide(Node.layerSqlite({ filename }))))

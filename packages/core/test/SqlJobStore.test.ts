import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Layer from "effect/Layer"
import { jobStoreContract } from "./JobStoreContract.ts"

jobStoreContract(
  "SQLite in memory, another driver",
  Layer.provide(SqlJobStore.layer, SqliteClient.layer({ filename: ":memory:" }))
)

// A worker of the benchmark of clusters: its arguments are the folder of the database's socket, and a port.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgClient from "@effect/sql-pg/PgClient"
import { layerWorker } from "@fanout/core/cluster"
import { layerOwnerLiveness } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as Layer from "effect/Layer"
import { handlers, security, Tasks } from "./clusterTasks.ts"

const [folder = "", port = ""] = process.argv.slice(2)

const worker = layerWorker(Tasks, { security, host: "127.0.0.1", listen: "127.0.0.1", port: Number(port) }).pipe(
  Layer.provide([
    handlers,
    Pools.layer({ cpu: 2 }),
    layerOwnerLiveness,
    PgClient.layer({ host: folder, username: "fanout", database: "postgres" })
  ])
)

NodeRuntime.runMain(Layer.launch(worker))

import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as ClusterWorkflowEngine from "effect/cluster/ClusterWorkflowEngine"
import * as SingleRunner from "effect/cluster/SingleRunner"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Activity from "effect/workflow/Activity"
import * as Workflow from "effect/workflow/Workflow"
import { work } from "./work.ts"

const Squares = Workflow.make("Squares", {
  payload: { numbers: Schema.Array(Schema.Int) },
  success: Schema.Array(Schema.Int),
  idempotencyKey: ({ numbers }) => numbers.join()
})

const Program = Squares.toLayer(({ numbers }) =>
  Effect.forEach(
    numbers,
    (n) => Activity.make({ name: `square ${n}`, success: Schema.Int, execute: Effect.promise(() => work(n)) }),
    { concurrency: 8 }
  )
)
const Runtime = Program.pipe(
  Layer.provideMerge(ClusterWorkflowEngine.layer),
  Layer.provide(SingleRunner.layer()),
  Layer.provide([SqliteClient.layer({ filename: "workflow.db" }), NodeCrypto.layer])
)

const numbers = Array.from({ length: 100 }, (_, n) => n)
const squares = await Effect.runPromise(Effect.provide(Squares.execute({ numbers }), Runtime))
console.log(JSON.stringify(squares))

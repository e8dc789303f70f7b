import { Job } from "@fanout/core"
import * as Fanout from "@fanout/core/node"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { work } from "./work.ts"

const Squares = Job.make("Squares", { payload: Schema.Array(Schema.Int), success: Schema.Array(Schema.Int) })

const Program = Squares.toLayer((numbers) =>
  TaskDispatcher.use((_) =>
    _.forEach("squares", numbers, (n) => Effect.promise(() => work(n)), { success: Schema.Int, concurrency: 8 })
  )
)
const Runtime = Layer.provide(Fanout.layer({ filename: "jobs.db", jobs: [Squares] }), Program)

const numbers = Array.from({ length: 100 }, (_, n) => n)
const squares = await Effect.runPromise(Effect.provide(Squares.execute(numbers), Runtime))
console.log(JSON.stringify(squares))

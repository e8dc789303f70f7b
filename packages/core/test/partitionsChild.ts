// Runs so many partitions, and tells the memory in use after each tenth of them.
import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Job from "@fanout/core/Job"
import { JobManagerError } from "@fanout/core/JobManager"
import * as Fanout from "@fanout/core/node"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")
const count = Number(process.argv[2])
const bytes: Array<number> = []
let ended = 0

const Range = Job.make("test/Range", {
  payload: Schema.Struct({ first: Schema.Int, last: Schema.Int }),
  success: Schema.Void
})
const Whole = Job.make("test/Whole", { success: Progress.Tally, error: JobManagerError })

const range = Range.toLayer(({ first, last }) =>
  TaskDispatcher.use(({ forEach }) =>
    forEach("numbers", [first, last], Effect.succeed, { success: Schema.Int }).pipe(Effect.map(() => {
      if (++ended % (count / 10) !== 0) return
      collectGarbage()
      bytes.push(process.memoryUsage().heapUsed)
    }))
  )
)
const whole = Whole.toLayer(() =>
  Effect.map(ChildJobs.partitioned("ranges", Range, Source.ranges(1, 2 * count, 2)), ({ tally }) => tally)
)
const runtime = Fanout.layer({ filename: ":memory:", jobs: [Whole, Range] }).pipe(Layer.provide([whole, range]))
const { done } = await Effect.runPromise(Effect.provide(Whole.execute(), runtime))
process.stdout.write(JSON.stringify({ bytes, done }))

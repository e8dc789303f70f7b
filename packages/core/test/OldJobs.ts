import * as Checkpoint from "@fanout/core/Checkpoint"
import * as ChildJobs from "@fanout/core/ChildJobs"
import { FanOutStopped } from "@fanout/core/FanOut"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import { JobManagerError, JobNotCompleted } from "@fanout/core/JobManager"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

/** Elements of each fan-out, and the first that an older program does not come to the end of. */
export const elements = 20
const settled = 12

class Bad extends Schema.TaggedError<Bad>("old/Bad")("Bad", { n: Schema.Number }) {}

const Number = Task.make("old/Number", {
  payload: { of: Schema.String, n: Schema.Number },
  error: Bad,
  key: ({ n }) => `number ${n}`
})
class Numbers extends RpcGroup.make(Number) {}

/** Counts how often its program has run. */
export const Count = Job.make("old/Count", {
  payload: Schema.Struct({ of: Schema.String }),
  success: Schema.Number,
  error: Schema.Union([Bad, FanOutStopped])
})

export const Parent = Job.make("old/Parent", {
  payload: Schema.Struct({ of: Schema.String }),
  success: Schema.Number,
  error: Schema.Union([Bad, FanOutStopped, JobManagerError, JobNotCompleted])
})

const Runs = Checkpoint.make("runs", Schema.Number)

/** Those whose older program comes to its end. */
const ends = new Set(["completed", "with errors"])

/**
 * Programs of an older version, of whose tasks some fail and others never end, and those of a newer one, which do all.
 * Both tell what they do.
 */
export const programs = (isOld: boolean, story: Array<string>) => {
  const tasks = Numbers.toLayer({
    "old/Number": Effect.fnUntraced(function*({ n, of }) {
      if (isOld && n % 5 === 3 && of !== "completed") return yield* new Bad({ n })
      if (isOld && n >= settled && !ends.has(of)) {
        return yield* Effect.forever(Effect.andThen(Effect.sleep(50), Interrupter.check))
      }
      story.push(`${of} ${n}`)
    })
  })
  const tell = ({ of }: { readonly of: string }) => Effect.sync(() => void story.push(`${of} is cleaned up`))
  const count = Count.toLayer(
    Effect.fnUntraced(function*({ of }) {
      const runs = 1 + Option.getOrElse(yield* Effect.catchTag(Runs.get, "CheckpointUnreadable", Effect.die), () => 0)
      yield* Runs.save(runs)
      if (isOld && of === "failed") return yield* new Bad({ n: 0 })
      const { fanOut } = yield* TaskDispatcher
      const { pause } = yield* JobContext
      const counting = fanOut(
        "numbers",
        Number,
        (after) =>
          Stream.range(
            Option.match(after, { onNone: () => 0, onSome: (cursor) => 1 + Math.trunc(+cursor) }),
            elements - 1
          )
            .pipe(Stream.map((n) => ({ _tag: "Item" as const, cursor: `${n}`, payload: { of, n } }))),
        {
          concurrency: 4
        }
      )
      const pausing = (of === "disk" || of === "device") && isOld
        ? Effect.andThen(Effect.sleep(3000), pause(of, `The ${of} is full`))
        : Effect.never
      yield* Effect.raceFirst(counting, pausing)
      return runs
    }),
    { onCancel: tell }
  )
  const parent = Parent.toLayer(({ of }) => ChildJobs.run("child", Count, { of: `child of ${of}` }), { onCancel: tell })
  return Layer.merge(count.pipe(Layer.provide(tasks)), parent)
}

/** Programs with one mistake each, and the words that the first line of the compiler's error has to have. */
export const head = `
import { Job, Source, Task } from "@fanout/core"
import * as Fanout from "@fanout/core/node"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
class Jam extends Schema.TaggedError<Jam>("Jam")("Jam", {}) {}
export const Print = Task.make("club/Print", { payload: { n: Schema.Int }, success: Schema.Int })
export const Mailing = Job.make("club/Mailing", { payload: Schema.Array(Schema.Int) })
export const runtime = Fanout.layer({ filename: "club.db", jobs: [Mailing] })
export const unused = [Jam, Source, Layer, Stream]
`

const program = (body: string) => `export const Program = Mailing.toLayer((ns) => TaskDispatcher.use((_) => ${body}))`

export const mistakes = [
  {
    what: "a job without its program",
    code: `Effect.runSync(Effect.provide(Mailing.execute([1]), runtime))`,
    says: `Program<"club/Mailing">`
  },
  {
    what: "a program whose task has no handler",
    code: `${program(`Effect.asVoid(Effect.orDie(_.runAll("letters", Print, ns.map((n) => ({ n })))))`)}
      Effect.runSync(Effect.provide(Mailing.execute([1]), Layer.provide(runtime, Program)))`,
    says: `Handler<"club/Print">`
  },
  {
    what: "a job without a runtime",
    code: `Effect.runSync(Mailing.execute([1]))`,
    says: "JobManager>"
  },
  {
    what: "a forEach without the schema of its values",
    code: program(`Effect.asVoid(_.forEach("letters", ns, (n) => Effect.succeed(n)))`),
    says: "Expected 4 arguments, but got 3"
  },
  {
    what: "a forEach whose error has no schema",
    code: program(`Effect.asVoid(_.forEach("letters", ns, () => Effect.fail(new Jam()), { success: Schema.Int }))`),
    says: "'Effect<never, Jam, never>'"
  },
  {
    what: "a forEach with another schema than its values",
    code: program(`Effect.asVoid(_.forEach("letters", ns, (n) => Effect.succeed(n), { success: Schema.String }))`),
    says: "'Effect<number, never, never>'"
  },
  {
    what: "a fan-out in the function of forEach",
    code: program(
      `_.forEach("a", ns, (n) => Effect.orDie(_.runAll("b", Print, [{ n }])), { success: Schema.Array(Schema.Int) })`
    ),
    says: "'NothingDurable'"
  },
  {
    what: "a job that does not declare that a fan-out can give up",
    code: program(
      `Effect.asVoid(_.fanOut("letters", Print, Source.map(Source.range(1, 9), (n) => ({ n })), {
        failures: "failFast"
      }))`
    ),
    says: "FanOutStopped"
  },
  {
    what: "a job that does not declare its error",
    code: `export const Program = Mailing.toLayer(() => Effect.fail(new Jam()))`,
    says: "'Effect<never, Jam, never>'"
  },
  {
    what: "a source of an iterator",
    code: `export const source = Source.fromIterable([1, 2].values())`,
    says: "an iterator can be read only once: give an array, or a function that makes the iterator"
  },
  {
    what: "an array in the place of a source",
    code: program(`Effect.orDie(Effect.asVoid(_.fanOut("letters", Print, [{ n: 1 }])))`),
    says: "'Source<{ readonly n: number; }"
  },
  {
    what: "a stream in the place of a source",
    code: program(`Effect.orDie(Effect.asVoid(_.fanOut("letters", Print, Stream.make({ n: 1 }))))`),
    says: "'Source<{ readonly n: number; }"
  },
  {
    what: "a payload of another shape",
    code: program(`Effect.orDie(Effect.asVoid(_.runAll("letters", Print, [{ member: 1 }])))`),
    says: "'Iterable<{ readonly n: number; }>'"
  },
  {
    what: "a key of another type than its schema",
    code: `export const source = Source.paged(Schema.Int, () => Effect.succeed([{ id: "a" }]), (row) => row.id)`,
    says: "Type 'string' is not assignable to type 'number'"
  }
]

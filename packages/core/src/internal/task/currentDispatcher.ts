/**
 * The reference to the current dispatcher, in a module of its own: `TaskDispatcher.ts` loads the dispatcher.
 */
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import type { TaskDispatcher } from "../../TaskDispatcher.ts"

export const currentDispatcher = Context.Reference<Option.Option<TaskDispatcher["Service"]>>(
  "@fanout/core/TaskDispatcher/Current",
  { defaultValue: () => Option.none() }
)

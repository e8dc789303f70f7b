/**
 * Where the runtime puts the dispatcher of what runs now: apart from `TaskDispatcher`, whose layer needs the runtime.
 */
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import type { TaskDispatcher } from "../../TaskDispatcher.ts"

export const currentDispatcher = Context.Reference<Option.Option<TaskDispatcher["Service"]>>(
  "@fanout/core/TaskDispatcher/Current",
  { defaultValue: () => Option.none() }
)

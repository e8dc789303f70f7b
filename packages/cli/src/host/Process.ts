/**
 * The process that the command runs in: what it was started with, speaks through, and hears.
 */
import * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"

/** All that the command asks of its process. */
export type Process = Pick<
  NodeJS.Process,
  "argv" | "cwd" | "emit" | "env" | "exit" | "off" | "on" | "once" | "stderr" | "stdin" | "stdout"
>

/** The process of a command: Node's own, unless somebody runs the command within a program. */
export const Current = Context.Reference<Process>("@fanout/cli/Process", { defaultValue: () => process })

/** The process of the fiber that calls this. */
export const current = (): Process => Fiber.getCurrent()?.getRef(Current) ?? process

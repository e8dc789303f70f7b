/**
 * Decides the exit code of the command. Pure: what a job came to goes in, a number comes out.
 */
import type * as JobState from "@fanout/core/JobState"

/** Signals that stop the command and leave its job resumable. */
export type Signal = "SIGHUP" | "SIGINT" | "SIGTERM"

export const success = 0
export const someFailed = 1
export const usage = 2
export const failed = 3
/** Stopped, and resumable. */
export const paused = 4
/** Others could change what root would obey. */
export const exposed = 5

/** Exit code of a command that a signal stopped, as shells count it. */
export const ofSignal = (signal: Signal): number => 128 + { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }[signal]

/** Exit code of a command that followed a job until it was over, or paused, or a signal came. */
export const ofState = (state: JobState.Tag, signal?: Signal): number =>
  ofTerminal[state] ?? (signal === undefined ? paused : ofSignal(signal))

const ofTerminal: Readonly<Partial<Record<JobState.Tag, number>>> = {
  Completed: success,
  CompletedWithErrors: someFailed,
  Failed: failed,
  Cancelled: failed
}

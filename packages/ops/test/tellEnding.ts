import * as Outcome from "@fanout/core/Outcome"

/** What a row says of what has no line of its own: why it was skipped, or what it failed with. */
export const tellEnding: (outcome: Outcome.Outcome) => string = Outcome.Outcome.match({
  Done: () => "",
  Skipped: ({ reason }) => reason,
  Failed: ({ failure }) => Outcome.message(failure)
})

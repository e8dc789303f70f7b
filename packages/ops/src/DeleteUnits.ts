/**
 * Names what a deletion counts.
 *
 * @since 0.1.0
 */

/**
 * Units of progress: what is gone.
 *
 * @category models
 * @since 0.1.0
 */
export const units = { files: "removedFiles", folders: "removedFolders" } as const

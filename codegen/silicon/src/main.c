/* Asks all questions once and prints the log. */
#include "silicon.h"
#include "silicon_platform.h"

int main(void)
{
    silicon_platform_start();
    silicon_ask();
    return 0;
}

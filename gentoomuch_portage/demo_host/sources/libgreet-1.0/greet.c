#include "greet.h"

const char *greeting(void)
{
#ifdef SHOUT
	return "HELLO";
#else
	return "hello";
#endif
}
